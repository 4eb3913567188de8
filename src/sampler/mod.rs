//! Samplers: readings of the host, of cgroups and of processes.
