"""How work is laid on a machine: pure functions from a workload and a configuration to a plan."""
