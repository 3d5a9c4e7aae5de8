"""python -m haechi"""

from haechi.cli import main

main()
