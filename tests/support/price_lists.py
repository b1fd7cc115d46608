"""price_lists.py owns price lists as providers publish them, in small: the shape is real, the prices are ours."""
import json

SKYPILOT = ("InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,"
            "AvailabilityZone\np5.48xlarge,H100,8.0,192.0,2048.0,,90,40,us-east-1,use1-az1\n"
            "g6.xlarge,L4,1.0,4.0,16.0,,0.8,,us-east-1,use1-az1\n")
GPUHUNT = "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot\n"
AWS_HEAD = '''"FormatVersion","v1.0"
"Disclaimer","For ""information"" only"
"Publication Date","2026-10-20T18:00:01Z"
"Version","20261020180001"
"OfferCode","AmazonEC2"
"SKU","TermType","EffectiveDate","Unit","PricePerUnit","Currency","Instance Type","Tenancy","Operating System","GPU",\
"CapacityStatus","Pre Installed S/W","Region Code"
'''.replace("\\\n", "")


def aws_row(instance_type, price, gpus, system="Linux"):
    return (f'"S","OnDemand","2026-10-01","Hrs","{price}","USD","{instance_type}","Shared","{system}","{gpus}","Used",'
            '"NA","test-east-1"\n')


def azure_item(sku="Standard_NC24ads_A100_v4", price=3.673, meter="NC24ads A100 v4", **more):
    return {"currencyCode": "USD", "retailPrice": price, "unitPrice": price, "armRegionName": "westus2",
            "effectiveStartDate": "2023-08-01T00:00:00Z", "meterName": meter, "productName": "Virtual Machines Series",
            "skuName": meter, "serviceName": "Virtual Machines", "unitOfMeasure": "1 Hour", "type": "Consumption",
            "isPrimaryMeterRegion": True, "armSkuName": sku, **more}


def azure_page(*items, following=None):
    return json.dumps({"BillingCurrency": "USD", "Items": items, "NextPageLink": following, "Count": len(items)})
