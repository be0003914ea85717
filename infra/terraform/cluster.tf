resource "aws_eks_cluster" "nunatak" {
  name       = "nunatak"
  version    = var.kubernetes_version
  role_arn   = aws_iam_role.service["cluster"].arn
  depends_on = [aws_iam_role_policy_attachment.service]
  access_config {
    authentication_mode = "API"
  }
  vpc_config {
    subnet_ids              = [for subnet in aws_subnet.private : subnet.id]
    endpoint_private_access = true
    endpoint_public_access  = true
    public_access_cidrs     = var.administrators
  }
  enabled_cluster_log_types = ["api", "audit", "authenticator"]
}

# Without this the network policies of our manifests would be read and not kept.
resource "aws_eks_addon" "network" {
  cluster_name         = aws_eks_cluster.nunatak.name
  addon_name           = "vpc-cni"
  configuration_values = jsonencode({ enableNetworkPolicy = "true" })
}

# Pods cannot ask the node for its role: the metadata service answers only one hop away.
resource "aws_launch_template" "node" {
  for_each = var.pools
  name     = "nunatak-${each.key}"
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = each.value.disk_gib
      volume_type           = "gp3"
      encrypted             = "true"
      delete_on_termination = "true"
    }
  }
}

resource "aws_eks_node_group" "pool" {
  for_each        = var.pools
  cluster_name    = aws_eks_cluster.nunatak.name
  node_group_name = each.key
  node_role_arn   = aws_iam_role.service["node"].arn
  # A spot market is asked in all zones; what must not vanish stays where its disks are.
  subnet_ids     = [for zone in(each.key == "on-demand" ? [var.zones[0]] : var.zones) : aws_subnet.private[zone].id]
  capacity_type  = each.value.capacity
  instance_types = each.value.types
  ami_type       = each.value.ami
  labels         = { "nunatak.node" = each.key }
  depends_on     = [aws_iam_role_policy_attachment.service, aws_eks_addon.network]

  launch_template {
    id      = aws_launch_template.node[each.key].id
    version = aws_launch_template.node[each.key].latest_version
  }
  scaling_config {
    min_size     = each.key == "on-demand" ? 1 : 0
    desired_size = each.key == "on-demand" ? 1 : 0
    max_size     = each.value.most
  }
  dynamic "taint" {
    for_each = each.key == "on-demand" ? [] : [each.key]
    content {
      key    = "nunatak.node"
      value  = taint.value
      effect = "NO_SCHEDULE"
    }
  }
  # The autoscaler moves it, and a later apply must not move it back.
  lifecycle {
    ignore_changes = [scaling_config[0].desired_size]
  }
}
