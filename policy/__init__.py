"""Rules that every preview and update of a stack is checked against, as a Pulumi policy pack.

The checks are pure functions of what is about to be declared; `pack` hands them to the Pulumi engine.
"""
