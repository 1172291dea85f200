// TSBS has no release: a commit of it, with the dependencies that it names itself.
module taospg-tsbs

go 1.25.0

require github.com/timescale/tsbs v0.0.0-20230921131859-37fced794d56
