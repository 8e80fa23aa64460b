"""Cases in, measured figures out: exact search beside the machine's limits and every installed peer."""
