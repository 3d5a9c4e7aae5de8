"""Auth methods: one module each, a Backend that turns credentials into an Auth from which the core makes a token."""
