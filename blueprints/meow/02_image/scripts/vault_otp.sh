#!/bin/sh
# One-time passwords: sshd asks Vault, through vault-ssh-helper; keys of an operator work beside them.
# VAULT_ADDR, MOUNT, ROLE and OTP_USER say whom it asks about whom.
set -eu
helper=/usr/local/bin/vault-ssh-helper config=/etc/vault-ssh-helper.d/config.hcl
cd /tmp/files
case $VAULT_ADDR$MOUNT$ROLE$OTP_USER in
  *[!0-9A-Za-z:/._-]*) echo 'vault_addr, ssh_otp_mount, ssh_otp_role and ssh_otp_user may hold letters, digits and : / . _ - only' >&2; exit 1 ;;
esac
dev=
case $VAULT_ADDR in http://*) dev=' -dev' ;; esac

install -m 0755 vault-ssh-helper "$helper"
mkdir -p "${config%/*}"
cat > "$config" <<HCL
vault_addr      = "$VAULT_ADDR"
ssh_mount_point = "$MOUNT"
allowed_roles   = "$ROLE"
tls_skip_verify = false
HCL

id -u "$OTP_USER" > /dev/null 2>&1 || useradd -m -s /bin/bash "$OTP_USER"
echo "$OTP_USER ALL=(ALL) NOPASSWD:ALL" > /etc/sudoers.d/60-otp
chmod 0440 /etc/sudoers.d/60-otp

if ! grep -q vault-ssh-helper /etc/pam.d/sshd; then
  {
    echo "auth requisite pam_exec.so quiet expose_authtok log=/var/log/vault-ssh.log $helper -config=$config$dev"
    echo 'auth optional pam_unix.so not_set_pass use_first_pass nodelay'
    sed 's/^@include common-auth/#&/' /etc/pam.d/sshd
  } > /etc/pam.d/.sshd
  chmod 0644 /etc/pam.d/.sshd
  mv /etc/pam.d/.sshd /etc/pam.d/sshd
fi
# sshd keeps the first value it reads, and reads this directory in the order of names before its own lines
install -m 0644 00-otp.conf /etc/ssh/sshd_config.d/00-otp.conf
sshd -t
systemctl restart ssh

install -m 0755 metadata otp-address /usr/local/sbin/
install -m 0644 otp-address.service /etc/systemd/system/
systemctl daemon-reload
systemctl enable --now otp-address

for attempt in $(seq 60); do # whoever guards Vault may only now let this host's address in
  timeout 10 "$helper" -verify-only -config="$config" $dev && exit 0
  sleep 2
done
echo "Vault at $VAULT_ADDR does not answer this host as it should" >&2
exit 1
