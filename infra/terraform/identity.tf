# Pods show the token of their service account; AWS asks the cluster that signed it. There is no key.
locals {
  issuers = merge(
    { eks = trimprefix(aws_eks_cluster.nunatak.identity[0].oidc[0].issuer, "https://") },
    var.other_issuer == "" ? {} : { other = trimprefix(var.other_issuer, "https://") },
  )
}

resource "aws_iam_openid_connect_provider" "cluster" {
  for_each       = local.issuers
  url            = "https://${each.value}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "pod" {
  for_each             = toset(["driver", "worker"])
  name                 = "nunatak-${each.key}"
  max_session_duration = 3600
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for name, issuer in local.issuers : {
      Effect    = "Allow"
      Action    = ["sts:AssumeRoleWithWebIdentity"]
      Principal = { Federated = aws_iam_openid_connect_provider.cluster[name].arn }
      Condition = {
        StringEquals = {
          "${issuer}:aud" = "sts.amazonaws.com"
          "${issuer}:sub" = "system:serviceaccount:nunatak:nunatak-${each.key}"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "pod" {
  for_each   = aws_iam_role.pod
  role       = each.value.name
  policy_arn = aws_iam_policy.bucket[each.key].arn
}

resource "aws_iam_role" "viewer" {
  count                = length(var.viewers) > 0 ? 1 : 0
  name                 = "nunatak-viewer"
  max_session_duration = 3600
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = ["sts:AssumeRole"]
      Principal = { AWS = sort(var.viewers) }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "viewer" {
  count      = length(aws_iam_role.viewer)
  role       = aws_iam_role.viewer[0].name
  policy_arn = aws_iam_policy.bucket["viewer"].arn
}

# What EKS itself needs: AWS keeps these policies.
resource "aws_iam_role" "service" {
  for_each = { cluster = "eks.amazonaws.com", node = "ec2.amazonaws.com" }
  name     = "nunatak-eks-${each.key}"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["sts:AssumeRole"], Principal = { Service = each.value } }]
  })
}

resource "aws_iam_role_policy_attachment" "service" {
  for_each = {
    AmazonEKSClusterPolicy             = "cluster"
    AmazonEKSWorkerNodePolicy          = "node"
    AmazonEKS_CNI_Policy               = "node"
    AmazonEC2ContainerRegistryPullOnly = "node"
  }
  role       = aws_iam_role.service[each.value].name
  policy_arn = "arn:aws:iam::aws:policy/${each.key}"
}
