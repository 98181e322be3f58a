"""Settings that all tests share."""

import signal

from hypothesis import HealthCheck, settings

# Wall time on a shared machine says nothing about the code: no deadlines. In CI the examples are
# the same in every run, so that a red build can be repeated.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if settings.get_current_profile_name() == "ci" else "default")

# A job in the background may have been started with SIGINT ignored; programs under test would
# inherit that, and never hear the Ctrl-C that they are sent.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
