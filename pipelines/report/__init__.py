"""What people look at: a static page of finished products, and maps that pan and zoom."""
