"""What the map shows of finished products: layers, outlines and curves as its page reads them."""
