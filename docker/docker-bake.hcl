// docker buildx bake -f docker/docker-bake.hcl [image | local]

group "default" {
  targets = ["image"]
}

variable "TAG" {
  default = "edgecnn:0.1.0"
}

// Both platforms under one name, to push: TAG=registry.example/edgecnn:0.1.0 docker buildx bake ... --push
target "image" {
  context    = "."
  dockerfile = "docker/Dockerfile"
  platforms  = ["linux/arm64", "linux/amd64"]
  tags       = [TAG]
}

// For the machine that builds it, and kept there.
target "local" {
  inherits  = ["image"]
  platforms = []
  output    = ["type=docker"]
}
