//! End-to-end tests of Backstop on real kernels and file systems.
