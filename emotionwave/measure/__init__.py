"Figures that others can run."
