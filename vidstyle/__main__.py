from vidstyle import environment

environment.import_from_elsewhere()

from vidstyle.cli import main  # noqa: E402

main()
