"""Example strategies: each file says what its idea is, how it exits and when it loses."""
