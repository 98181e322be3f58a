"""Risk above the compiled gate: what a configuration allows, in the gate's units."""
