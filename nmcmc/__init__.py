"""nmcmc: neural Markov chain Monte Carlo for spin systems."""
