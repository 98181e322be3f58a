"""Messages between the processes of a profile, over ZeroMQ."""
