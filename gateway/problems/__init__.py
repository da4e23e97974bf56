"""Problems (RFC 9457): the one shape of every error, the types there are, a page for each."""

from gateway.problems.details import CONTENT_TYPE, Problem, encode, instance_of, problem

__all__ = ["CONTENT_TYPE", "Problem", "encode", "instance_of", "problem"]
