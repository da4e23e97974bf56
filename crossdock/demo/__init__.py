"""The demonstration: the main job on real servers, counted by a receiver that trusts nobody."""
