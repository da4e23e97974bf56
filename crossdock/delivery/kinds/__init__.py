"""How events get to destinations: one module for each kind, all behind `parcel.Carrier`."""
