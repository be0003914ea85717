"""What is computed: kernels, flows, synthetic worlds and the command line."""
