#!/bin/sh
# Writes the page with the cat, as root, at each boot: it names the instance that serves it. PREFIX is its title.
set -eu
umask 022
instance=$(metadata instance-id)
address=$(metadata private-ipv4)
cat > /var/www/html/.index.html <<HTML
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$PREFIX</title>
<style>
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: #fdf6ec; color: #3b2f2a; font-family: system-ui, sans-serif; text-align: center }
  img { width: min(60vw, 420px) }
  code { background: #f3e3cf; border-radius: .4em; padding: .15em .5em }
</style>
</head>
<body>
<main>
  <img src="cat.svg" alt="a cat">
  <h1>$PREFIX!</h1>
  <p>served by <code id="instance">$instance</code> <code>$(hostname)</code> <code>$address</code></p>
</main>
</body>
</html>
HTML
mv /var/www/html/.index.html /var/www/html/index.html
