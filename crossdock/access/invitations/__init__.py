"""How people come to a tenant: invited by somebody who holds what they are invited to."""
