"""One file per verb: composition happens here and only here. The command line and notebooks call these functions."""
