"""What runs in torch: matrix products on GPUs now, networks for images later."""
