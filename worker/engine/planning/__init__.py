"""What does a run ask for, and how far may its cursor move? Pure: plain data and the time go in, a plan comes out."""
