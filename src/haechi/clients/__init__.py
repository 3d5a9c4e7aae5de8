"""How the control side reaches a server, local or real: by its public interface."""
