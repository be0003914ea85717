output "overlay" {
  description = "What infra/kubernetes/overlays/aws/account/kustomization.yaml holds for this account."
  value = join("\n", [
    "# Written by `terraform output -raw overlay`.",
    yamlencode({
      apiVersion       = "kustomize.config.k8s.io/v1alpha1"
      kind             = "Component"
      generatorOptions = { disableNameSuffixHash = true }
      configMapGenerator = [{
        name     = "nunatak-store"
        behavior = "merge"
        literals = ["NUNATAK_BUCKET=${var.bucket}", "AWS_REGION=${var.region}"]
      }]
      images = [for name, image in aws_ecr_repository.image : {
        name    = name
        newName = image.repository_url
        newTag  = var.image_tag
      }]
      patches = [for name, role in aws_iam_role.pod : {
        patch = yamlencode({
          apiVersion = "v1"
          kind       = "ServiceAccount"
          metadata = {
            name        = "nunatak-${name}"
            annotations = { "eks.amazonaws.com/role-arn" = role.arn }
          }
        })
      }]
    }),
  ])
}

output "pod_networks" {
  description = "For `nunatak certificates --host`: every address that a Ray node may have."
  value       = [for subnet in aws_subnet.private : subnet.cidr_block]
}

output "cluster" {
  description = "For `aws eks update-kubeconfig --name`."
  value       = aws_eks_cluster.nunatak.name
}

output "viewer_role" {
  description = "The role that reads products, if there are viewers."
  value       = one(aws_iam_role.viewer[*].arn)
}
