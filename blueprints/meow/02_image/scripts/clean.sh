#!/bin/sh
# Leaves nothing in the image that is of this build or this one machine: keys, names, addresses, logs, packages' downloads.
set -eu
systemctl stop apache2 deploy-app otp-address
rm -f /var/www/html/index.html
sed -i '/^allowed_cidr_list/d' /etc/vault-ssh-helper.d/config.hcl
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/backups/*
rm -rf /var/lib/cloud/* /var/lib/systemd/random-seed /var/lib/dhcp/*
rm -f /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys /root/.*history /home/*/.*history /etc/ssh/ssh_host_*
: > /etc/machine-id
rm -rf /var/log/journal/* /var/log/apt/*
find /var/log -type f -delete
rm -rf /tmp/* /var/tmp/*
sync
