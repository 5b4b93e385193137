"""What a cluster is made of, found from bare addresses: installs, what runs, who is told to talk to whom."""
