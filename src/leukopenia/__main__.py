from leukopenia.cli import main

main()
