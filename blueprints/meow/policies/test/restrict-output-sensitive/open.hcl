mock "tfconfig/v2" {
  module {
    source = "mock-tfconfig-open.sentinel"
  }
}

test {
  rules = {
    main = false
  }
}
