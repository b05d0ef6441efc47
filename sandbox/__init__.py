"""A Discord and a Speckle that run on this machine, the demo, and the soak. Not part of a wheel."""
