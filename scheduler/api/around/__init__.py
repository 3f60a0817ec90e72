"""What stands around the routes, from the outside in: the frame, the guard, the rate of each token, requests that came before, parameters that nobody knows."""
