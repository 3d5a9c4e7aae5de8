#!/bin/sh
# Apache, and at each boot before it the page of that instance. PREFIX is the page's title.
set -eu
export DEBIAN_FRONTEND=noninteractive
case $PREFIX in *[!0-9A-Za-z._-]*) echo 'name may hold letters, digits and . _ - only' >&2; exit 1 ;; esac
cd /tmp/files
for attempt in 1 2 3 4 5; do # name service and mirror may come later than we do
  apt-get -qq update && apt-get -qq install -y --no-install-recommends apache2 > /dev/null && break
  [ $attempt = 5 ] && exit 1
  sleep 3
done
install -m 0755 metadata deploy_app.sh /usr/local/sbin/
install -m 0644 deploy-app.service /etc/systemd/system/
install -m 0644 -D apache2.conf /etc/systemd/system/apache2.service.d/page.conf
echo "PREFIX=$PREFIX" > /etc/default/deploy-app
install -m 0644 -D cat.svg /var/www/html/cat.svg
systemctl daemon-reload
systemctl enable deploy-app apache2
systemctl restart deploy-app apache2
curl -sSf --max-time 10 http://127.0.0.1/ | grep -q 'id="instance"'
