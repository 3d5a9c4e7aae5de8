"""The host's half of Vault's one-time passwords for SSH.

`vault_ssh_helper.py` is a whole program in one file: it is copied to /usr/local/bin/vault-ssh-helper of a host and needs nothing
of haechi, nor more than Debian's python3-minimal. `files/` holds what stands around it there: PAM's, sshd's and its own configuration.
"""
