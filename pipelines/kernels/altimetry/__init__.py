"""From rates of surface elevation to rates of surface mass on cells around the pole."""
