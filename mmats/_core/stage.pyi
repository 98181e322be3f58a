"""How an event is shown: to the simulated venue first, then to the pipeline; compiled code only."""
