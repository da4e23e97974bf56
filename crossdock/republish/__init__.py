"""Events announced again, from PostgreSQL, for consumers that fell behind what EVENTS keeps."""
