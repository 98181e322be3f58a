"""The journal on LMDB: hash-chained, sealed, and checked from outside."""
