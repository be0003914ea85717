# What each role may do, and nothing beside it. Tests read these documents as they are.
locals {
  bucket_arn = "arn:aws:s3:::${var.bucket}"
  folders    = [for each in [var.prefixes.catalogue, var.prefixes.products] : each]

  # Without it S3 answers 403 where an object is missing, and every reader asks for objects that may be
  # missing (a chunk of fill values, a lease). A condition on s3:prefix does not hold for those requests, so
  # names are told of the whole bucket, which holds nothing but Nunatak's; contents are not.
  list_own = {
    Sid      = "ListOwnBucket"
    Effect   = "Allow"
    Action   = ["s3:ListBucket"]
    Resource = [local.bucket_arn]
  }
  read_own = {
    Sid      = "ReadOwnFolders"
    Effect   = "Allow"
    Action   = ["s3:GetObject"]
    Resource = [for f in local.folders : "${local.bucket_arn}/${f}/*"]
  }
  read_others = [for bucket in sort(var.readable_buckets) : {
    Sid      = "Read${replace(title(replace(bucket, "/[^a-z0-9]+/", " ")), " ", "")}"
    Effect   = "Allow"
    Action   = ["s3:GetObject", "s3:ListBucket"]
    Resource = ["arn:aws:s3:::${bucket}", "arn:aws:s3:::${bucket}/*"]
  }]
  write_products = {
    Sid      = "WriteProducts"
    Effect   = "Allow"
    Action   = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    Resource = ["${local.bucket_arn}/${var.prefixes.products}/*"]
  }
  # A driver moves references and takes leftovers away. A worker adds chunks and no more.
  delete_products = {
    Sid      = "DeleteInProducts"
    Effect   = "Allow"
    Action   = ["s3:DeleteObject"]
    Resource = ["${local.bucket_arn}/${var.prefixes.products}/*"]
  }
  read_products = [
    local.list_own,
    {
      Sid      = "ReadProducts"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = ["${local.bucket_arn}/${var.prefixes.products}/*"]
    },
  ]

  statements = {
    driver = concat([local.list_own, local.read_own, local.write_products, local.delete_products], local.read_others)
    worker = concat([local.list_own, local.read_own, local.write_products], local.read_others)
    viewer = local.read_products
  }
}

resource "aws_iam_policy" "bucket" {
  for_each = toset(["driver", "worker", "viewer"])
  name     = "nunatak-${each.key}"
  policy   = jsonencode({ Version = "2012-10-17", Statement = local.statements[each.key] })
}
