"""What stands around every application: headers, other origins, addresses, bodies that are left."""
