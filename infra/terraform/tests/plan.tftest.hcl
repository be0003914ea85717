# Plans against a mocked AWS: `terraform test` needs neither an account nor a network.
mock_provider "aws" {
  mock_resource "aws_eks_cluster" {
    defaults = {
      identity = [{ oidc = [{ issuer = "https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE" }] }]
    }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/nunatak-mocked" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::111122223333:policy/nunatak-mocked" }
  }
  mock_resource "aws_ecr_repository" {
    defaults = { repository_url = "111122223333.dkr.ecr.us-west-2.amazonaws.com/nunatak" }
  }
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
  }
}

variables {
  bucket         = "nunatak-products"
  administrators = ["198.51.100.0/24"]
}

run "what_is_made" {
  # bucket is private and only encrypted connections reach it
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.products.block_public_acls,
      aws_s3_bucket_public_access_block.products.block_public_policy,
      aws_s3_bucket_public_access_block.products.ignore_public_acls,
      aws_s3_bucket_public_access_block.products.restrict_public_buckets,
    ])
    error_message = "The bucket could be opened to the public."
  }
  assert {
    condition = alltrue([
      for s in jsondecode(aws_s3_bucket_policy.products.policy).Statement : s.Effect == "Deny"
    ])
    error_message = "The bucket's policy must only take away."
  }
  assert {
    condition     = aws_s3_bucket_versioning.products.versioning_configuration[0].status == "Enabled"
    error_message = "What is deleted by mistake could not be brought back."
  }
  # a worker cannot delete and nobody leaves the prefixes
  assert {
    condition = !contains(flatten([
      for s in jsondecode(aws_iam_policy.bucket["worker"].policy).Statement : s.Action
    ]), "s3:DeleteObject")
    error_message = "A worker may delete."
  }
  assert {
    condition = alltrue(flatten([for role in ["driver", "worker", "viewer"] : [
      for s in jsondecode(aws_iam_policy.bucket[role].policy).Statement : [
        for r in s.Resource : (
          # the bucket itself: its names, and nothing of what they hold
          r == "arn:aws:s3:::nunatak-products" ? s.Action == ["s3:ListBucket"] :
          startswith(r, "arn:aws:s3:::nunatak-products/catalogue/") ||
          startswith(r, "arn:aws:s3:::nunatak-products/products/")
        )
      ]
    ]]))
    error_message = "A role reaches beyond its prefixes."
  }
  assert {
    condition = toset(flatten([
      for s in jsondecode(aws_iam_policy.bucket["viewer"].policy).Statement : s.Action
    ])) == toset(["s3:ListBucket", "s3:GetObject"])
    error_message = "A viewer may more than read."
  }
  # roles are for our service accounts alone
  assert {
    condition = alltrue([for name, role in aws_iam_role.pod : alltrue([
      for s in jsondecode(role.assume_role_policy).Statement :
      contains(values(s.Condition.StringEquals), "system:serviceaccount:nunatak:nunatak-${name}") &&
      contains(values(s.Condition.StringEquals), "sts.amazonaws.com")
    ])])
    error_message = "A role can be taken by another pod."
  }
  assert {
    condition     = length(aws_iam_role.viewer) == 0
    error_message = "There is a role for viewers, and nobody named any."
  }
  # pools carry the label and taint that the manifests ask for
  assert {
    condition     = alltrue([for name, pool in aws_eks_node_group.pool : pool.labels["nunatak.node"] == name])
    error_message = "A pool has no label nunatak.node of its name."
  }
  assert {
    condition = alltrue([
      for name, pool in aws_eks_node_group.pool :
      name == "on-demand" ? length(pool.taint) == 0 : one(pool.taint).value == name
    ])
    error_message = "Pods that do not ask for a pool could land on it."
  }
  assert {
    condition     = alltrue([for t in aws_launch_template.node : t.metadata_options[0].http_tokens == "required" && t.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "Pods could take the node's role from the metadata service."
  }
  # addresses of pods fit into one certificate
  assert {
    condition     = sum([for n in output.pod_networks : pow(2, 32 - tonumber(split("/", n)[1]))]) <= 4000
    error_message = "Ray's certificate can name 4,096 hosts."
  }
  # the overlay is that of this account
  assert {
    condition     = yamldecode(output.overlay).configMapGenerator[0].literals == ["NUNATAK_BUCKET=nunatak-products", "AWS_REGION=us-west-2"]
    error_message = "The overlay names another bucket."
  }
  assert {
    condition     = toset([for p in yamldecode(output.overlay).patches : yamldecode(p.patch).metadata.name]) == toset(["nunatak-driver", "nunatak-worker"])
    error_message = "The overlay gives roles to other service accounts."
  }
}

run "pods_of_another_cluster_take_the_same_roles" {
  variables {
    other_issuer = "container.googleapis.com/v1/projects/p/locations/us-west1/clusters/c"
  }
  assert {
    condition     = length(jsondecode(aws_iam_role.pod["worker"].assume_role_policy).Statement) == 2
    error_message = "The other issuer is not trusted."
  }
}

run "what_is_refused" {
  command = plan
  variables {
    viewers        = ["arn:aws:iam::*:root"]             # one user or role, no account
    viewer_origins = ["*"]                               # no page of anybody's
    administrators = ["0.0.0.0/0"]                       # the cluster is not open to the world
    prefixes       = { catalogue = "c", products = "*" } # no wildcard reaches a policy
    bucket         = "Products.of.nunatak"               # no name that TLS refuses
    zones          = ["us-west-2a"]
  }
  expect_failures = [
    var.viewers, var.viewer_origins, var.administrators, var.prefixes, var.bucket, var.zones,
  ]
}
