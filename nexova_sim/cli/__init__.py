"""The command line: a thin shell over the ``run`` room. Heavy imports happen inside the command functions."""
