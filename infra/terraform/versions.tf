terraform {
  required_version = ">= 1.9, < 2.0"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

# Credentials come from the environment of whoever applies this, never from a file.
provider "aws" {
  region = var.region
  default_tags {
    tags = { project = "nunatak" }
  }
}
