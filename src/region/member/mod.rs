//! Members of the cluster: how the first find each other, how others join, and who of them is alive.
