"""What nested training gives and costs: against models trained alone, over many sub-networks, under a budget."""
