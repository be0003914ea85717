"""What people look at: a static page of finished products."""
