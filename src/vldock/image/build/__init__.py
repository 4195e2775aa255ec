"""Steps of the image build, each run once inside the Dockerfile; standard library only."""
